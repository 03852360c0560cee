@echo off
rem Signalbox on Windows, by NSSM: api-server as a service, which starts, watches and stops the other two. For those alone, without
rem it: set "SERVICES=qwen-proxy provider-router". Run this as administrator, with nssm in the PATH.
rem Never run on Windows by the tests of this project, which read it only.
setlocal
if not defined BIN set "BIN=%ProgramFiles%\Signalbox"
if not defined DATA set "DATA=%ProgramData%\Signalbox"
if not defined SERVICES set "SERVICES=api-server"
if not exist "%DATA%\logs" mkdir "%DATA%\logs"
for %%S in (%SERVICES%) do call :service %%S || exit /b 1
exit /b 0

:service
nssm install %1 "%BIN%\%1.exe" || exit /b 1
rem One database for all. AUTO_START is for api-server. Further settings are a file there, %1.toml.
nssm set %1 AppEnvironmentExtra "DATA_DIR=%DATA%" AUTO_START=true || exit /b 1
nssm set %1 AppDirectory "%DATA%" || exit /b 1
nssm set %1 AppStderr "%DATA%\logs\%1.log" || exit /b 1
nssm set %1 AppRotateFiles 1 || exit /b 1
nssm set %1 AppRotateOnline 1 || exit /b 1
nssm set %1 AppRotateBytes 10485760 || exit /b 1
rem Ctrl-C begins the drain: 10 s at most, and 12 s for the services of api-server; only then the process is ended.
nssm set %1 AppStopMethodConsole 25000 || exit /b 1
rem Bad usage, no permission, bad configuration: a person has to change something first.
nssm set %1 AppExit Default Restart || exit /b 1
for %%C in (0 64 77 78) do nssm set %1 AppExit %%C Exit || exit /b 1
nssm set %1 AppRestartDelay 500 || exit /b 1
nssm set %1 Start SERVICE_AUTO_START || exit /b 1
nssm start %1
