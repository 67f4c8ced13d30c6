//! What is served where.

use std::sync::Arc;

use crate::http::{Reply, Request};
use crate::trace::page::{STORY_PART, STORY_SCRIPT, STYLE, escaped};
use crate::web::board::Board;
use crate::web::crew::Crew;
use crate::web::feed::Feed;
use crate::web::guard::Guard;
use crate::web::scene::Scene;
use crate::web::{orders, search};

const PAGE: &str = include_str!("page/page.html");
const SCRIPT: &str = include_str!("page/page.js");
const PAGE_STYLE: &str = include_str!("page/page.css");

/// What a browser may do for the page: run its scripts and take its style, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' \
                      data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// All that is served.
#[derive(Debug)]
pub(super) struct Site {
    guard: Guard,
    board: Arc<Board>,
    crew: Arc<Crew>,
    /// What the servers tell of the protocol; none where that is read from files.
    scene: Option<Arc<Scene>>,
}

impl Site {
    pub(super) fn new(
        guard: Guard,
        board: Arc<Board>,
        crew: Arc<Crew>,
        scene: Option<Arc<Scene>>,
    ) -> Site {
        Site { guard, board, crew, scene }
    }

    /// Returns what to add to the address for a first visit.
    pub(super) fn query(&self) -> String {
        self.guard.query()
    }

    /// Answers a request.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        let reply = match self.guard.stops(request) {
            Some(stop) => stop,
            None => self.answer_to_guest(request),
        };
        reply.with("Content-Security-Policy", POLICY).with("Referrer-Policy", "no-referrer")
    }

    fn answer_to_guest(&self, request: &Request) -> Reply {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/") => self.guard.remember(Reply::new(200, "text/html", self.page())),
            ("GET" | "HEAD", "/style.css") => {
                Reply::new(200, "text/css", format!("{STYLE}\n{PAGE_STYLE}"))
            }
            ("GET" | "HEAD", "/page.js") => {
                Reply::new(200, "text/javascript", format!("{STORY_SCRIPT}\n{SCRIPT}"))
            }
            ("GET", "/events") => self.events(request),
            ("GET", "/search") => search::answer(request, &self.board, &self.crew),
            ("POST", "/order") => self.order(request),
            (_, "/order") => Reply::line(405, "an order is a POST").with("Allow", "POST"),
            (_, "/" | "/style.css" | "/page.js" | "/events" | "/search") => {
                Reply::line(405, "this is only read").with("Allow", "GET")
            }
            _ => Reply::line(404, "there is no such page"),
        }
    }

    /// The events for a browser: of the protocol too, if it asks for that or all of it is read from files anyway.
    fn events(&self, request: &Request) -> Reply {
        let is_wanted = self.scene.is_none() || request.parameter("protocol").is_some();
        let look = |scene: &Arc<Scene>| {
            let (looker, is_first) = scene.look();
            if is_first {
                self.board.end_story();
            }
            looker
        };
        let looker = self.scene.as_ref().filter(|_| is_wanted).map(look);
        Reply::events(Feed::new(Arc::clone(&self.board), is_wanted, looker))
    }

    fn page(&self) -> String {
        let orders = if self.crew.takes_orders() { self.guard.for_orders() } else { "" };
        let protocol = if self.scene.is_some() { "live" } else { "files" };
        let page = PAGE.replace("{{orders}}", &escaped(orders)).replace("{{protocol}}", protocol);
        page.replace("{{story}}", STORY_PART)
    }

    fn order(&self, request: &Request) -> Reply {
        if !self.crew.takes_orders() {
            return Reply::line(
                403,
                "this page takes no orders: web --allow-orders has it take some",
            );
        }
        if !self.guard.lets_order(request) {
            return Reply::line(403, "this order doesn't come from this page");
        }
        orders::carry_out(&request.body, &self.crew)
    }
}
