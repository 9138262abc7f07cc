//! The `conn3ction` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("conn3ction: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(conn3ction::cli::main())
}
