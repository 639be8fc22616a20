//! The steadfast binary.

fn main() -> std::process::ExitCode {
    steadfast_gateway::cli::main()
}
