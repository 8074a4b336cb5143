//! Containers that a pass over JSON text is in, and the place they make.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::demand::Demand;
use super::paths::Selection;

/// Longest place that is written down, in bytes: one long name above many secrets must not be written once for each.
/// A place that would be longer ends at the last container that fits.
const POINTER_BYTES_MAX: usize = 512;

/// What holds values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Object,
    Array,
}

/// A container that is open.
pub(super) struct Frame<'a> {
    pub(super) container: Container,
    /// Of everything in it.
    pub(super) demand: Demand,
    /// Whether it is in a JSON Schema.
    pub(super) schema: bool,
    /// The member that is read now, as it will be written: without secrets. Empty in an array.
    pub(super) name: Cow<'a, [u8]>,
    /// The element that is read now.
    pub(super) index: usize,
    /// Whether what was read last names a secret: a flag in an array, a `name` beside a `value`.
    pub(super) hint: bool,
    /// Where in what the paths select it is, if on the way to something selected.
    node: Option<usize>,
    /// Where the value is that is read now.
    pub(super) value_node: Option<usize>,
}

impl Frame<'_> {
    pub(super) fn new(container: Container, demand: Demand, node: Option<usize>) -> Self {
        Self {
            container,
            demand,
            schema: false,
            name: Cow::Borrowed(b""),
            index: 0,
            hint: false,
            node,
            value_node: None,
        }
    }

    /// Goes to the member of this name, as it was received; says what the paths ask of it.
    pub(super) fn enter_member(&mut self, selection: Option<&Selection>, name: &[u8]) -> Demand {
        self.enter(selection, |selection, node| selection.member(node, name))
    }

    /// Goes to the element at `index`; says what the paths ask of it.
    pub(super) fn enter_element(&mut self, selection: Option<&Selection>) -> Demand {
        let index = self.index;
        self.enter(selection, |selection, node| selection.element(node, index))
    }

    fn enter(
        &mut self,
        selection: Option<&Selection>,
        step: impl Fn(&Selection, Option<usize>) -> Option<usize>,
    ) -> Demand {
        let Some(selection) = selection else { return Demand::None };
        self.value_node = step(selection, self.node);
        if selection.selects(self.value_node) { Demand::Path } else { Demand::None }
    }
}

/// The place of the value that is read now, as a JSON Pointer (RFC 6901).
pub(super) fn pointer(frames: &[Frame<'_>]) -> String {
    let mut pointer = String::new();
    for frame in frames {
        let whole = pointer.len();
        pointer.push('/');
        match frame.container {
            Container::Array => {
                // Writing to a string cannot fail.
                let _ = write!(pointer, "{}", frame.index);
            }
            Container::Object => {
                let near = &frame.name[..frame.name.len().min(POINTER_BYTES_MAX + 1)];
                let name = String::from_utf8_lossy(near);
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
        }
        if pointer.len() > POINTER_BYTES_MAX {
            pointer.truncate(whole);
            break;
        }
    }
    pointer
}
