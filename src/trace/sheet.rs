//! The places of everything in a picture, before it is drawn.

/// A point: how far to the right, and how far down.
pub type Point = (f64, f64);

/// The places of everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// The width. A letter is about six units wide.
    pub width: f64,
    /// The height, in the same units.
    pub height: f64,
    /// The servers' lines.
    pub lines: Vec<Line>,
    /// The messages.
    pub arrows: Vec<Arrow>,
    /// The events at one server.
    pub marks: Vec<Mark>,
    /// The texts that belong to no arrow or mark: pauses, times.
    pub margins: Vec<Margin>,
    /// What a play does to the whole bank, or says: each from here on.
    pub bands: Vec<Band>,
}

/// A server's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The server's id.
    pub name: String,
    /// The line's place.
    pub x: f64,
    /// The parts of the line on which the server lives, from and to.
    pub lives: Vec<(f64, f64)>,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrow {
    /// The message's kind, which gives the colour.
    pub kind: String,
    /// Where it begins.
    pub from: Point,
    /// Where it ends.
    pub to: Point,
    /// The parts of it that are drawn: it goes behind texts.
    pub parts: Vec<(Point, Point)>,
    /// How it ends.
    pub end: End,
    /// The text along the arrow.
    pub label: Text,
}

/// The end of an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// An arrowhead at a server.
    Head,
    /// A cross: the message is lost.
    Cross,
    /// Nothing: no trace tells.
    Open,
}

/// A text beside a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The words.
    pub words: String,
    /// Where the words begin, or end if they stand on the left.
    pub x: f64,
    /// The base line.
    pub y: f64,
    /// True if the text stands on the left of its line.
    pub is_left: bool,
}

/// An event at one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The place.
    pub at: Point,
    /// The sign.
    pub sign: Sign,
    /// The text beside the sign.
    pub text: Option<Text>,
    /// The details, for whoever points at it.
    pub detail: String,
}

/// The look of a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A ring: a life begins.
    Start,
    /// A cross: a life ends.
    Crash,
    /// A box with a height: a block is appended.
    Block(u64),
    /// A tick: a durable write.
    Write,
    /// A dot: a client asks or is answered.
    Client,
    /// A lozenge: a phase of a run begins, or a majority is reached.
    Phase,
}

/// A text in the margin.
#[derive(Clone, Debug, PartialEq)]
pub struct Margin {
    /// The words.
    pub words: String,
    /// The height.
    pub y: f64,
    /// True if it tells a pause, not a time.
    pub is_pause: bool,
}

/// A text over the whole width.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// The words.
    pub words: String,
    /// The base line.
    pub y: f64,
}

/// The ground that a text covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ground {
    /// The least distance from the left.
    pub left: f64,
    /// The greatest distance from the left.
    pub right: f64,
    /// The least distance from the top.
    pub top: f64,
    /// The greatest distance from the top.
    pub bottom: f64,
}

impl Ground {
    /// True if two of them overlap.
    pub fn touches(&self, other: &Ground) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}
