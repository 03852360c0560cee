@echo off
rem Stops and removes the services of install.cmd. The data is kept. Run as administrator.
if not defined SERVICES set "SERVICES=api-server"
for %%S in (%SERVICES%) do (
    nssm stop %%S
    nssm remove %%S confirm
)
