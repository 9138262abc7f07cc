//! The `conn3ction` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // An append to files blocks its worker while the disk works; on a single core another is needed that goes on.
    let is_alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    if is_alone && std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(2);
    }
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("conn3ction: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(conn3ction::cli::main())
}
