//! The `conn3ction` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // An append to files blocks its worker while the disk works; another goes on.
    let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("conn3ction: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(conn3ction::cli::main())
}
