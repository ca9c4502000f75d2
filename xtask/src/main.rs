//! Set-up and every developer command.

fn main() {}
