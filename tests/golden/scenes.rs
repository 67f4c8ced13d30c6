//! The scenes, each a script.

use paxos_banking::bank::effects::Timer;

use crate::stage::Stage;

fn finish_round(timer: &Timer) -> bool {
    *timer == Timer::FinishRound
}

fn heartbeat(timer: &Timer) -> bool {
    *timer == Timer::Heartbeat
}

fn deadline(timer: &Timer) -> bool {
    matches!(timer, Timer::Deadline(_))
}

pub fn happy_run() -> String {
    let mut stage = Stage::open(
        "A happy run",
        "Three servers, A, B and C, each the home of one account that opened with 100.\n\
         A transfer that its home can cover is served from the local log. One that it can't cover\n\
         starts a Paxos run: all local logs are gathered into a block, a majority accepts it, and\n\
         the transfer is looked at again.\n\n\
         How to read this: what happens stands at the margin, what follows from it is indented.\n\
         B1 is the first entry of B's log. Ballot 1.A is round 1 of A's. What \"saves\" is durable\n\
         from there on; promises, accepteds, commits and replies leave only after that.",
    );
    stage.say("B can cover this alone. Nobody else hears of it yet.");
    stage.pay("B", "A", 40);
    stage.say("A has 100, as far as it knows. So it has to ask the others what they know.");
    stage.pay("A", "C", 120);
    stage.say("Phase 1: a promise carries the local log, so that the block can be built from it.");
    stage.deliver("A", "B", "prepare");
    stage.deliver("A", "C", "prepare");
    stage.deliver("B", "A", "promise");
    stage.say("With the last promise the block is built: B's 40 are in it. Phase 2: accept.");
    stage.deliver("C", "A", "promise");
    stage.deliver("A", "B", "accept");
    stage.deliver("A", "C", "accept");
    stage.say(
        "A itself and B are a majority: the block is chosen. A appends it, sees that it now has\n    \
         140, and serves the transfer from its log, all in one turn. Three saved turns of A's lie\n    \
         between question and answer: promise, accept, append.",
    );
    stage.deliver("B", "A", "accepted");
    stage.deliver_all();
    stage.close()
}

pub fn competing_proposers() -> String {
    let mut stage = Stage::open(
        "Competing proposers",
        "A and C need money at the same moment, and both start a run for block 1. The higher\n\
         ballot wins; the loser finds that the winner's block serves it, too.",
    );
    stage.say("B has paid both, and they don't know it yet.");
    stage.pay("B", "A", 60);
    stage.pay("B", "C", 30);
    stage.say("Both can't cover what they are asked for. 1.C is higher than 1.A.");
    stage.pay("A", "B", 150);
    stage.pay("C", "B", 120);
    stage.say("B promises first the one, then the other, which is higher.");
    stage.deliver("A", "B", "prepare");
    stage.deliver("C", "B", "prepare");
    stage.say("C has promised its own, higher ballot. A hears of it and backs off.");
    stage.deliver("A", "C", "prepare");
    stage.deliver("C", "A", "nack");
    stage.say("A promised 1.A, but 1.C is higher, so it may promise that as well.");
    stage.deliver("C", "A", "prepare");
    stage.deliver("B", "A", "promise");
    stage.deliver("B", "C", "promise");
    stage.deliver("A", "C", "promise");
    stage.say(
        "C's block holds B's whole log: it covers A's transfer, which needs no run of its own.",
    );
    stage.deliver_all();
    stage.close()
}

pub fn leader_dies_after_accept() -> String {
    let mut stage = Stage::open(
        "The leader dies after accept",
        "A has its block accepted by itself and by B, and dies before it learns that. The block\n\
         may have been chosen, so nobody may propose another: B finishes the round with that block.",
    );
    stage.pay("B", "A", 40);
    let number = stage.pay("A", "C", 120);
    stage.deliver("A", "B", "prepare");
    stage.deliver("A", "C", "prepare");
    stage.deliver("B", "A", "promise");
    stage.deliver("C", "A", "promise");
    stage.say("B accepts; C never hears of the block.");
    stage.lose("A", "C", "accept");
    stage.deliver("A", "B", "accept");
    stage.lose("B", "A", "accepted");
    stage.crash("A");
    stage.say(
        "After a while B takes over, in a higher ballot. Its own acceptor tells of the block.",
    );
    stage.run_out("B", finish_round);
    stage.deliver_all();
    stage.say(
        "A comes back. It has the block as accepted; that it was chosen it learns from the others.\n    \
         Its client, which got no answer, asks again under the same number.",
    );
    stage.start("A");
    stage.deliver_all();
    stage.pay_again("A", "C", 120, number);
    stage.close()
}

pub fn leader_dies_halfway_through_commits() -> String {
    let mut stage = Stage::open(
        "The leader dies halfway through its commits",
        "A's block is chosen, and A tells B so, but not C, and not its client. C has never seen the\n\
         block. When C proposes something for the same height it is brought up to date instead.",
    );
    stage.pay("B", "A", 40);
    let number = stage.pay("A", "C", 120);
    stage.deliver("A", "B", "prepare");
    stage.deliver("A", "C", "prepare");
    stage.deliver("B", "A", "promise");
    stage.deliver("C", "A", "promise");
    stage.lose("A", "C", "accept");
    stage.deliver("A", "B", "accept");
    stage.say("A dies once the commit to B is out.");
    stage.doom("A", 1);
    stage.deliver("B", "A", "accepted");
    stage.say(
        "C needs money, and believes that block 1 is still to be agreed on. Of A's transfer to C\n    \
         only A's disk knows, so C is refused; the refusal says that A wasn't asked.",
    );
    stage.pay("C", "B", 130);
    stage.deliver_all();
    stage.say(
        "What A had saved before it died stands: block 1, and the transfer that the block covered.\n    \
         The session outlives the crash: the client asks again and pays once.",
    );
    stage.start("A");
    stage.deliver_all();
    stage.pay_again("A", "C", 120, number);
    stage.say("A's entry goes into the next block. Then C can pay.");
    stage.settle("C");
    stage.deliver_all();
    stage.pay("C", "B", 130);
    stage.close()
}

pub fn zombie() -> String {
    let mut stage = Stage::open(
        "A zombie",
        "C is away while the others agree on two blocks. It comes back with its own earlier state,\n\
         and fetches what it missed: in the original design's words <RECONCILE_REQUEST>,\n\
         <R_ACK,[1,2]>, <R_BLOCKS_REQ,[1,2]>, <R_BLOCKS_RESP,[Ba,Bb]>.",
    );
    stage.pay("C", "B", 10);
    stage.crash("C");
    stage.say("A majority goes on without C. Its entry C1 is safe on its disk, and in no block.");
    stage.pay("A", "B", 5);
    stage.settle("A");
    stage.deliver_all();
    stage.pay("B", "A", 7);
    stage.settle("B");
    stage.deliver_all();
    stage.say("C comes back.");
    stage.start("C");
    stage.say("What its own client may spend C knows from its own log: no need to wait.");
    stage.pay("C", "A", 20);
    stage.deliver_all();
    stage.say("The next block takes C's entries in.");
    stage.settle("C");
    stage.deliver_all();
    stage.close()
}

pub fn a_session_by_its_name() -> String {
    let mut stage = Stage::open(
        "A session by its name",
        "A client that remembers nothing but its last number names its session. After any crash, its\n\
         own or its server's, it opens the name again, and asks again under that number.",
    );
    stage.open_by_name("A", "invoices");
    stage.pay("A", "B", 30);
    let last = stage.pay("A", "C", 20);
    stage.say("A dies, and the client as well. Whether the 20 were paid it doesn't know.");
    stage.crash("A");
    stage.start("A");
    stage.open_by_name("A", "invoices");
    stage.say("It has 2 in its books, as the last that it may have sent.");
    stage.pay_again("A", "C", 20, last);
    stage.close()
}

pub fn logged_between_promise_and_commit() -> String {
    let mut stage = Stage::open(
        "A transfer logged between promise and commit",
        "B promises its log, and serves another transfer before the block that was built from that\n\
         promise comes back. The commit takes only the included entries off the log.",
    );
    stage.pay("B", "A", 40);
    stage.pay("A", "C", 120);
    stage.deliver("A", "C", "prepare");
    stage.say("B promises: its log is B1.");
    stage.deliver("A", "B", "prepare");
    stage.say("Serving goes on meanwhile: B2.");
    stage.pay("B", "C", 25);
    stage.deliver("C", "A", "promise");
    stage.say("The block is B1. B compares it with the beginning of its log, and accepts.");
    stage.deliver("B", "A", "promise");
    stage.deliver("A", "B", "accept");
    stage.deliver("B", "A", "accepted");
    stage.say("B1 leaves B's log, B2 stays for the next block.");
    stage.deliver("A", "B", "commit");
    stage.deliver_all();
    stage.close()
}

pub fn partition() -> String {
    let mut stage = Stage::open(
        "A partition",
        "A is cut off from B and C. It serves what it can cover, and says plainly what it can't do.\n\
         B and C, a majority, go on.",
    );
    stage.part("A", "B");
    stage.part("A", "C");
    stage.say("Covered: served. Not covered: there is nobody to ask.");
    stage.pay("A", "C", 30);
    stage.pay("A", "B", 100);
    stage.run_out("A", deadline);
    stage.say("B and C are a majority, and agree on a block without A.");
    stage.pay("C", "B", 50);
    stage.pay("B", "C", 140);
    stage.deliver_all();
    stage.say("A refusal speaks of those who were asked, and says who wasn't: A may have paid C.");
    stage.pay("C", "A", 500);
    stage.deliver_all();
    stage.say("A fetches the blocks. Its own entry was in no block; it goes into the next.");
    stage.heal();
    stage.deliver_all();
    stage.settle("A");
    stage.deliver_all();
    stage.close()
}

pub fn no_majority() -> String {
    let mut stage = Stage::open(
        "No majority",
        "B and C are down. A alone still serves what it can cover, since only A may spend A's money.\n\
         What it can't cover is unavailable: it has not happened, and will not.",
    );
    stage.pay("B", "A", 70);
    stage.crash("B");
    stage.crash("C");
    stage.pay("A", "C", 60);
    stage.pay("A", "C", 90);
    stage.run_out("A", deadline);
    stage.say("With B there is a majority again. A new try is a new number.");
    stage.start("B");
    stage.deliver_all();
    stage.pay("A", "C", 90);
    stage.deliver_all();
    stage.say("C is still away: a refusal says so.");
    stage.pay("A", "C", 90);
    stage.deliver_all();
    stage.close()
}

pub fn accounts() -> String {
    let mut stage = Stage::open(
        "Accounts",
        "A/alice is an account at home A: only A opens and debits it, and to A it is known at once.\n\
         Others know it when it is in a block. Linked transfers happen together or not at all. One\n\
         that is to be settled is answered when its entry is in a block, and so at a majority.",
    );
    stage.say("Within A a new account can be paid at once.");
    stage.open_account("A", "A/alice");
    stage.pay("A", "A/alice", 30);
    stage.say(
        "B doesn't know A/alice. Whether there is such an account is not for B to say, so it asks.",
    );
    stage.pay("B", "A/alice", 15);
    stage.deliver_all();
    stage.say("A has 70. One of these two can't happen, so neither does, once all were asked.");
    stage.pay_both("A", [("A/alice", "C", 10), ("A", "C", 500)]);
    stage.deliver_all();
    stage.say(
        "A/alice has 45 by now. Two that can both happen become one element of the log: they come\n    \
         into one block. The second spends what the first one brings.",
    );
    stage.pay_both("A", [("A/alice", "A", 40), ("A", "C", 100)]);
    stage.say("This one is in A's log at once, and answered when the run that it starts is over.");
    stage.pay_settled("A", "A/alice", 1);
    stage.deliver_all();
    stage.close()
}

pub fn a_server_joins() -> String {
    let mut stage = Stage::open(
        "A server joins",
        "D is to become a member of a bank of A, B and C. An operator orders it at a member, which\n\
         logs it as an entry. From the height after the block of this entry on, D is a member: of\n\
         four votes three are a majority. D itself logs and votes once its own chain says so.",
    );
    stage.say("Whoever was not ordered to be admitted is told nothing.");
    stage.join("D", "A");
    stage.say(
        "The order names no store. A dials D, and logs the store that greets. The run is for block 1,\n    \
         where D has no vote: two of three are a majority.",
    );
    stage.admit("A", "D", "d:7000");
    stage.dial_again("D");
    stage.deliver_all();
    stage.say("D hears how far the chain is, fetches it, and finds its own store named.");
    stage.run_out("A", heartbeat);
    stage.deliver_all();
    stage.dial_again("D");
    stage.say("It opens its account in its own log. Of four, it now needs two others.");
    stage.run_out("D", heartbeat);
    stage.deliver_all();
    stage.say("Without B, D's vote decides: three of four are needed.");
    stage.crash("B");
    stage.pay("A", "D", 40);
    stage.settle("C");
    stage.deliver_all();
    stage.close()
}

pub fn a_server_is_dismissed() -> String {
    let mut stage = Stage::open_with(
        &["A", "D"],
        "A server is dismissed",
        "A bank of A and D becomes a bank of A alone. Only D can say that nothing is left of it: so\n\
         the order is given to D, which logs it as its last entry.",
    );
    stage.say("D still holds money.");
    stage.dismiss("D");
    stage.pay("D", "A", 100);
    stage
        .say("Now it doesn't. D's own vote is needed for the block that dismisses it, and counts.");
    stage.dismiss("D");
    stage.deliver("D", "A", "prepare");
    stage.deliver("A", "D", "promise");
    stage.deliver("D", "A", "accept");
    stage.say(
        "The block is chosen, and only D knows. If it went now, A could never learn it: A has\n    \
         accepted the block, but without D it can't finish the round, which takes both.",
    );
    stage.deliver("A", "D", "accepted");
    stage.lose("D", "A", "commit");
    stage.say("So D stays, without a vote, until A holds the block, too.");
    stage.run_out("D", heartbeat);
    stage.deliver_all();
    stage.say(
        "A holds it now, and takes D for no peer any more. D dials A once more, and is told so.",
    );
    stage.heal();
    stage.say("A goes on alone.");
    stage.pay("A", "D", 5);
    stage.settle("A");
    stage.deliver_all();
    stage.close()
}

pub fn a_vote_is_taken_and_given() -> String {
    let mut stage = Stage::open(
        "A vote is taken and given",
        "Whose votes count for a block follows from the blocks below it. C loses its vote by block 1:\n\
         for block 1 it still counts, for block 2 it doesn't. By block 2 C gets its vote again.",
    );
    stage.say("A and C are a majority of three, for the very block that takes C's vote.");
    stage.demote("A", "C");
    stage.lose("A", "B", "prepare");
    stage.deliver("A", "C", "prepare");
    stage.deliver("C", "A", "promise");
    stage.run_out("A", |timer| matches!(timer, Timer::Gather { .. }));
    stage.lose("A", "B", "accept");
    stage.deliver_all();
    stage.say(
        "Now A and B are all who vote. C is asked for its log, which comes into the block; its promise\n    \
         helps to no majority, and it accepts nothing.",
    );
    stage.pay("C", "A", 7);
    stage.promote("A", "C");
    stage.deliver("A", "C", "prepare");
    stage.deliver("C", "A", "promise");
    stage.say("C alone was not enough: A goes on waiting for B.");
    stage.deliver_all();
    stage.say("From block 3 on two of three decide again: A and C do without B.");
    stage.crash("B");
    stage.pay("C", "A", 1);
    stage.settle("A");
    stage.deliver_all();
    stage.close()
}
