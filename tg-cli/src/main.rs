//! For trying `serve`.
use clap::Parser;
mod serve;
#[derive(Parser)]
enum Cli {
    Serve(serve::ServeArgs),
}
fn main() {
    let Cli::Serve(args) = Cli::parse();
    if let Err(e) = serve::serve(args) {
        if let Some(e) = e.downcast_ref::<clap::Error>() {
            e.exit();
        }
        eprintln!("tg-cli: {e:#}");
        std::process::exit(1);
    }
}
