/** Preloaded into every process of a fault test: whoever started it is gone when its standard input ends, and then so is it. */
process.stdin.once('close', () => process.kill(process.pid, 'SIGKILL'));
process.stdin.resume();
process.stdin.unref();
