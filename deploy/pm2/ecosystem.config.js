// Signalbox under PM2.
//
//   pm2 start ecosystem.config.js                        all three: api-server runs and watches the other two
//   SIGNALBOX_SEPARATE=1 pm2 start ecosystem.config.js   each as an app of its own, watched by PM2;
//                                                        with `--only provider-router` that one alone
//
// The programs are looked for in SIGNALBOX_BIN, or in $PATH. Settings are environment variables: HOST, CLIENT_KEYS, ….
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
  // A clean end, and what a person has to mend first: bad flags, missing rights, bad configuration.
  stop_exit_codes: [0, 64, 77, 78],
  // From SIGINT to SIGKILL: streams get 10 s to end, and children 12 s.
  kill_timeout: 15000,
  merge_logs: true,
  ...rest,
});

const together = [app('api-server', ['run', '--autostart', 'true'], { name: 'signalbox', kill_timeout: 20000 })];
const separate = [app('api-server', ['run', '--autostart', 'false']), app('provider-router', []), app('qwen-proxy', [])];

module.exports = { apps: process.env.SIGNALBOX_SEPARATE ? separate : together };
