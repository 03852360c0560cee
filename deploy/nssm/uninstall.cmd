@echo off
rem Stops the services of install.cmd and takes them out. The data stays. Run this as administrator.
for %%S in (provider-router qwen-proxy) do (
    nssm stop %%S
    nssm remove %%S confirm
)
