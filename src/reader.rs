//! The reader of an output, who may go before the end: `head` does, and that is no error.

use std::io::{self, ErrorKind, Write};

/// An output. What is written after its reader has gone counts as written.
#[derive(Debug)]
pub struct Reader<W> {
    output: W,
    is_gone: bool,
    /// True if writing is to fail then, for work that serves nobody else.
    stops: bool,
}

impl<W: Write> Reader<W> {
    /// Wraps the output of work that is to be done to its end in any case.
    pub fn of(output: W) -> Self {
        Reader { output, is_gone: false, stops: false }
    }

    /// Wraps the output of work that can stop when nobody reads on.
    pub fn that_stops(output: W) -> Self {
        Reader { stops: true, ..Reader::of(output) }
    }

    /// True if the reader has gone.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Takes what came of writing; `done` stands for success.
    fn after<T>(&mut self, written: io::Result<T>, done: T) -> io::Result<T> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_gone = true;
                if self.stops { Err(error) } else { Ok(done) }
            }
            written => written,
        }
    }
}

impl<W: Write> Write for Reader<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes);
        self.after(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.output.flush();
        self.after(flushed, ())
    }
}
