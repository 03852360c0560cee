@echo off
rem Signalbox on Windows with NSSM: installs api-server as a service, which starts, supervises and stops the other two.
rem To install those without api-server: set "SERVICES=qwen-proxy provider-router". Run as administrator, with nssm in
rem the PATH. The tests of this project only read this file; it has never been run on Windows.
setlocal
if not defined BIN set "BIN=%ProgramFiles%\Signalbox"
if not defined DATA set "DATA=%ProgramData%\Signalbox"
if not defined SERVICES set "SERVICES=api-server"
if not exist "%DATA%\logs" mkdir "%DATA%\logs"
for %%S in (%SERVICES%) do call :service %%S || exit /b 1
exit /b 0

:service
nssm install %1 "%BIN%\%1.exe" || exit /b 1
rem All services share one database. AUTO_START applies to api-server. Further settings go into %1.toml in that directory.
nssm set %1 AppEnvironmentExtra "DATA_DIR=%DATA%" AUTO_START=true || exit /b 1
nssm set %1 AppDirectory "%DATA%" || exit /b 1
nssm set %1 AppStderr "%DATA%\logs\%1.log" || exit /b 1
nssm set %1 AppRotateFiles 1 || exit /b 1
nssm set %1 AppRotateOnline 1 || exit /b 1
nssm set %1 AppRotateBytes 10485760 || exit /b 1
rem Ctrl-C starts the drain: at most 10 s, and 12 s for the services of api-server; afterwards the process is killed.
nssm set %1 AppStopMethodConsole 25000 || exit /b 1
rem Bad usage, missing permission, bad configuration: no restart, because the user has to make a change first.
nssm set %1 AppExit Default Restart || exit /b 1
for %%C in (0 64 77 78) do nssm set %1 AppExit %%C Exit || exit /b 1
nssm set %1 AppRestartDelay 500 || exit /b 1
nssm set %1 Start SERVICE_AUTO_START || exit /b 1
nssm start %1
