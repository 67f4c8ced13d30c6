//! A client that does nothing wrong, and has to be served whatever others do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cluster::{Client, wait_until};

/// Pays to and fro until it is dropped or told to stop.
pub struct Payer {
    stop: Arc<AtomicBool>,
    paid: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Vec<Duration>>>,
}

impl Payer {
    /// One that pays at A, between `A` and an account that it opens.
    pub fn start(address: &str) -> Payer {
        let mut client = Client::connect(address);
        let reply = client.ask(&json!({"open": {"account": "A/payer"}}));
        // It is there already where an earlier one paid.
        assert!(reply["outcome"].is_string(), "{reply}");
        let stop = Arc::new(AtomicBool::new(false));
        let paid = Arc::new(AtomicUsize::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&paid));
        let pay = move || {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                for (from, to) in [("A", "A/payer"), ("A/payer", "A")] {
                    let begun = Instant::now();
                    let reply =
                        client.ask(&json!({"transfer": {"from": from, "to": to, "amount": 1}}));
                    assert_eq!(reply["outcome"], json!("accepted"), "{reply}");
                    times.push(begun.elapsed());
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            times
        };
        Payer { stop, paid, thread: Some(std::thread::spawn(pay)) }
    }

    /// Ends it; fails if any payment failed. Says how long they took.
    pub fn stop(mut self) -> String {
        let before = self.paid.load(Ordering::Relaxed);
        wait_until("it pays on", || self.paid.load(Ordering::Relaxed) >= before + 10);
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it was started");
        let mut times = thread.join().expect("the well-behaved client is served");
        times.sort();
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        format!("{} payments, p50 {:?}, p99 {:?}, most {:?}", times.len(), at(50), at(99), at(100))
    }
}

impl Drop for Payer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A test that fails already has its reason.
            let _ = thread.join();
        }
    }
}
