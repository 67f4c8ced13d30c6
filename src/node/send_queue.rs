//! The way out to one connection: short items leave at once, others through a bounded queue and its writer.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use crate::node::socket::{Sent, Socket};

/// The length of a write, in bytes, from which on further text waits for the next write.
pub(crate) const MAX_WRITE: usize = 64 << 10;

/// Work for a connection's writer.
#[derive(Debug)]
pub(crate) enum Queued<T> {
    /// An item of which nothing was sent.
    Item(T),
    /// The rest of an item whose beginning was sent at once. The socket holds the rest.
    Rest,
}

/// The error if an item was not taken: the queue holds as many as it may.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A queue of items to be sent over a socket. Several queues may share a socket and its writer.
#[derive(Debug)]
pub(crate) struct SendQueue<T> {
    queue: Sender<Queued<T>>,
    most: usize,
    socket: Arc<Socket>,
}

// Not derived: that would ask for items that can be cloned.
impl<T> Clone for SendQueue<T> {
    fn clone(&self) -> SendQueue<T> {
        let (queue, socket) = (self.queue.clone(), Arc::clone(&self.socket));
        SendQueue { queue, most: self.most, socket }
    }
}

impl<T> SendQueue<T> {
    /// Makes a queue of at most `most` items, and its writer's end.
    pub(crate) fn new(socket: &Arc<Socket>, most: usize) -> (SendQueue<T>, Receiver<Queued<T>>) {
        // Not `bounded`, which would allocate all places from the beginning: most connections never need
        // one.
        let (queue, queued) = crossbeam_channel::unbounded();
        (SendQueue { queue, most, socket: Arc::clone(socket) }, queued)
    }

    /// Sends a short item. If nothing is before it and the other end reads, its text is on its way when
    /// this returns (true), and no other thread has to wake up. Otherwise the rest of the text, or the item
    /// made of it, is left to the writer (false). Never blocks.
    pub(crate) fn send(&self, text: String, item: impl FnOnce(String) -> T) -> Result<bool, Full> {
        match self.socket.send_at_once(text.as_bytes()) {
            Sent::All => Ok(true),
            Sent::Beginning => {
                // Half an item can't be lost, so it always finds room.
                self.give(Queued::Rest);
                Ok(false)
            }
            Sent::Nothing => self.queue(item(text)).map(|()| false),
        }
    }

    /// Queues an item. Never blocks.
    pub(crate) fn queue(&self, item: T) -> Result<(), Full> {
        if self.queue.len() >= self.most {
            return Err(Full);
        }
        self.give(Queued::Item(item));
        Ok(())
    }

    fn give(&self, queued: Queued<T>) {
        self.socket.will_write();
        // If the writer has ended by now, it is as if the connection had ended on the way.
        let _ = self.queue.send(queued);
    }

    /// Returns how many items are queued.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }
}

/// What the tests of both ways out share: the other end doesn't read for a while.
#[cfg(test)]
pub(crate) mod testing {
    use std::io::{BufRead, BufReader, Lines};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    /// The lines that arrive at a connection's other end.
    pub(crate) type Arriving = Lines<BufReader<TcpStream>>;

    /// Makes a connection: its socket, and the lines at its other end.
    pub(crate) fn connection() -> (Arc<TcpStream>, Arriving) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        other.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (Arc::new(listener.accept().unwrap().0), BufReader::new(other).lines())
    }

    /// Returns the next line that arrives.
    pub(crate) fn next(lines: &mut Arriving) -> String {
        lines.next().expect("a line").expect("it comes whole")
    }

    /// Sends numbered items to an end that doesn't read, until `many` are left to the writer. If 1 is enough,
    /// the end of the last item is missing, and nothing follows it. Returns the lines that have to arrive.
    pub(crate) fn send_until<T>(
        many: usize,
        queued: &Receiver<Queued<T>>,
        socket: &Socket,
        mut send: impl FnMut(u64) -> String,
    ) -> Vec<String> {
        let mut sent = Vec::new();
        while queued.len() < many && !(many == 1 && socket.is_torn()) {
            sent.push(send(sent.len() as u64));
        }
        sent
    }

    /// Lets the writer write while the other end reads, and expects these lines, whole and in order. The
    /// writer has to end by what is done then.
    pub(crate) fn expect_all(
        expected: &[String],
        lines: &mut Arriving,
        write: impl FnOnce() + Send,
        then: impl FnOnce(&mut Arriving),
    ) {
        std::thread::scope(|scope| {
            scope.spawn(write);
            expected.iter().for_each(|line| assert_eq!(next(lines), *line));
            then(lines);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn a_full_queue_refuses_items_but_not_the_rest_of_one() {
        let (stream, _lines) = connection();
        let (queue, queued) = SendQueue::new(&Arc::new(Socket::new(stream)), 0);
        assert_eq!(queue.queue(()), Err(Full));
        let long = "x".repeat(1 << 20);
        // Until the socket is full, and takes only the beginning.
        while queue.send(long.clone(), |_| ()) == Ok(true) {}
        assert!(matches!(queued.try_recv(), Ok(Queued::Rest)));
        assert_eq!(queue.send(long, |_| ()), Err(Full));
    }
}
