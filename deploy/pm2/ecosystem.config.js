// Signalbox under PM2.
//
//   pm2 start ecosystem.config.js                        all three: api-server runs and supervises the other two
//   SIGNALBOX_SEPARATE=1 pm2 start ecosystem.config.js   each as a separate app, supervised by PM2;
//                                                        with `--only provider-router` only that one
//
// The programs are looked up in SIGNALBOX_BIN, or else in $PATH. Settings are environment variables: HOST, CLIENT_KEYS, …
const path = require('node:path');

const program = (name) => (process.env.SIGNALBOX_BIN ? path.join(process.env.SIGNALBOX_BIN, name) : name);

const app = (name, args, rest = {}) => ({
  name,
  script: program(name),
  args,
  interpreter: 'none',
  exec_mode: 'fork',
  autorestart: true,
  exp_backoff_restart_delay: 500,
  // A clean exit, and errors that require a change by the user: bad flags, missing permissions, bad configuration.
  stop_exit_codes: [0, 64, 77, 78],
  // Milliseconds from SIGINT to SIGKILL: streams get 10 s to end, and children 12 s.
  kill_timeout: 15000,
  merge_logs: true,
  ...rest,
});

const together = [app('api-server', ['run', '--autostart', 'true'], { name: 'signalbox', kill_timeout: 20000 })];
const separate = [app('api-server', ['run', '--autostart', 'false']), app('provider-router', []), app('qwen-proxy', [])];

module.exports = { apps: process.env.SIGNALBOX_SEPARATE ? separate : together };
