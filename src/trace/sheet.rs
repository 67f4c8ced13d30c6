//! Where everything in a picture is, before it is drawn.

/// A place: how far to the right, how far down.
pub type Point = (f64, f64);

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// In units of which a letter has about six.
    pub width: f64,
    /// The same.
    pub height: f64,
    /// The servers' lines.
    pub lines: Vec<Line>,
    /// All messages.
    pub arrows: Vec<Arrow>,
    /// What happens at one server.
    pub marks: Vec<Mark>,
    /// Texts that are neither a label nor a mark's: pauses, times.
    pub margins: Vec<Margin>,
}

/// A server's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The server's id.
    pub name: String,
    /// Where it is.
    pub x: f64,
    /// From where to where the server lives.
    pub lives: Vec<(f64, f64)>,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrow {
    /// Its kind, by which it is coloured.
    pub kind: String,
    /// Where it begins.
    pub from: Point,
    /// Where it ends.
    pub to: Point,
    /// How it ends.
    pub end: End,
    /// What is written along it.
    pub label: Text,
}

/// How an arrow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At a server.
    Head,
    /// In a cross: it is lost.
    Cross,
    /// In nothing: there is no trace that could tell.
    Open,
}

/// A text beside a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Its words.
    pub words: String,
    /// Where it begins, or ends if it stands on the left.
    pub x: f64,
    /// Its base line.
    pub y: f64,
    /// It stands on the left of its line.
    pub is_left: bool,
}

/// Something that happens at one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Where.
    pub at: Point,
    /// What.
    pub sign: Sign,
    /// What is written beside it.
    pub text: Option<Text>,
    /// More about it, for who asks.
    pub detail: String,
}

/// What a mark looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A ring: a life begins.
    Start,
    /// A cross: it ends.
    Crash,
    /// A box with a height: a block is appended.
    Block(u64),
    /// A tick: a durable write.
    Write,
    /// A dot: a client asks or is answered.
    Client,
}

/// What stands in the margin.
#[derive(Clone, Debug, PartialEq)]
pub struct Margin {
    /// Its words.
    pub words: String,
    /// At which height.
    pub y: f64,
    /// It tells of a pause, not of a time.
    pub is_pause: bool,
}
