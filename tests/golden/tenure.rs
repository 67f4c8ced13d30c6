//! Scenes of a promise that stands.

use paxos_banking::bank::effects::Timer;

use crate::stage::Stage;

fn gather(timer: &Timer) -> bool {
    matches!(timer, Timer::Gather { .. })
}

fn back_off(timer: &Timer) -> bool {
    matches!(timer, Timer::BackOff { .. })
}

pub fn the_same_server_again() -> String {
    let mut stage = Stage::open(
        "The same server again",
        "A promise stands for all heights to come. So the server that won last goes on in its ballot:\n\
         it asks, and nobody has to write anything before the accept. Where it knows the money from\n\
         what came with the last accepteds it doesn't even ask.",
    );
    stage.say("The first run: promises are written.");
    stage.pay("B", "A", 40);
    stage.pay("A", "C", 120);
    stage.deliver_all();
    stage.say("The second one has the same ballot. It is promised already.");
    stage.pay("B", "A", 30);
    stage.pay("A", "C", 45);
    stage.deliver("A", "B", "prepare");
    stage.deliver("A", "C", "prepare");
    stage.deliver("B", "A", "promise");
    stage.deliver("C", "A", "promise");
    stage.say(
        "Meanwhile B pays A once more. That is not in the block; B tells it with its accepted.",
    );
    stage.pay("B", "A", 10);
    stage.deliver_all();
    stage.say("A has 5, and knows of 10 more. The third run begins with accept.");
    stage.pay("A", "C", 15);
    stage.deliver_all();
    stage.close()
}

pub fn the_last_winner_is_overtaken() -> String {
    let mut stage = Stage::open(
        "The last winner is overtaken",
        "A won last. Then C wins, and A hears of its block, but not of its ballot. A goes on in a ballot\n\
         that B does not take any more; then it begins anew, in a higher one.",
    );
    stage.pay("B", "A", 40);
    stage.pay("A", "C", 120);
    stage.deliver_all();
    stage.say("C asks in 2.C. Nothing of that comes to A.");
    stage.pay("B", "C", 20);
    stage.pay("C", "B", 115);
    stage.lose("C", "A", "prepare");
    stage.deliver("C", "B", "prepare");
    stage.deliver("B", "C", "promise");
    stage.run_out("C", gather);
    stage.lose("C", "A", "accept");
    stage.deliver("C", "B", "accept");
    stage.deliver("B", "C", "accepted");
    stage.deliver_all();
    stage.say(
        "A has block 2, and asks in 1.A for block 3. B has promised 2.C, for this height too.",
    );
    stage.pay("B", "A", 35);
    stage.pay("A", "C", 50);
    stage.deliver("A", "B", "prepare");
    stage.deliver("B", "A", "nack");
    stage.run_out("A", back_off);
    stage.deliver_all();
    stage.close()
}

pub fn a_promise_outlives_a_crash() -> String {
    let mut stage = Stage::open(
        "A promise outlives a crash",
        "B promised C's ballot for block 1, and for all blocks after it. It dies, comes back, and keeps\n\
         its word at block 2: to A, which was away, it says no.",
    );
    stage.crash("A");
    stage.pay("B", "C", 40);
    stage.pay("C", "B", 120);
    stage.deliver_all();
    stage.crash("B");
    stage.start("B");
    stage.start("A");
    stage.deliver_all();
    stage.say("A has fetched block 1. It has seen no ballot, so it begins with round 1.");
    stage.pay("B", "A", 15);
    stage.pay("A", "B", 110);
    stage.deliver("A", "B", "prepare");
    stage.deliver("B", "A", "nack");
    stage.run_out("A", back_off);
    stage.deliver_all();
    stage.close()
}
