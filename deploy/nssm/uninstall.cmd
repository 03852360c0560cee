@echo off
rem Stops the services of install.cmd and takes them out. The data stays. Run this as administrator.
if not defined SERVICES set "SERVICES=api-server"
for %%S in (%SERVICES%) do (
    nssm stop %%S
    nssm remove %%S confirm
)
