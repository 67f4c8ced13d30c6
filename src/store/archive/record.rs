//! Where a chain's blocks are: the oldest in segments, the others in the store itself.

use crate::store::archive::segment::Segment;

/// The store's record of what left it for segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    /// The segments, in the order of their heights: without gaps, from block 0 on.
    segments: Vec<Segment>,
}

impl Archived {
    /// Takes the segments that a store names, in the order of their heights, and the base beside them.
    ///
    /// # Errors
    /// What doesn't fit together.
    pub(in crate::store) fn new(base: u64, segments: Vec<Segment>) -> Result<Archived, String> {
        let mut end = 0;
        for Segment { first, last, .. } in &segments {
            if *first != end || last < first {
                return Err(format!(
                    "a segment of blocks {first} to {last} where block {end} begins one"
                ));
            }
            end = last + 1;
        }
        match base == end {
            true => Ok(Archived { segments }),
            false => Err(format!("the base is {base}, and the segments end before block {end}")),
        }
    }

    /// Returns the height of the first block that the store itself holds.
    pub fn base(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.last + 1)
    }

    /// Returns the segments, in the order of their heights.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the segment with the block of this height, if it is in one.
    pub fn segment_of(&self, height: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.last < height);
        self.segments.get(after)
    }

    /// Notes the next segment.
    ///
    /// # Panics
    /// If it isn't the next one.
    pub(in crate::store) fn push(&mut self, segment: Segment) {
        assert_eq!(segment.first, self.base(), "segments follow each other");
        self.segments.push(segment);
    }
}
