//! A web server of one page, for images without anything else in them: the docker suite links it statically.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the test suite: its output is a container's log"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

const BODY: &str = "hello from the container\n";

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", 80))?;
    println!("web: serving on port 80");
    eprintln!("web: nothing has gone wrong");
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request)?;
        println!("web: {}", request.trim_end());
        write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len())?;
    }
    Ok(())
}
