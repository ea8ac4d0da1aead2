//! Whether a log was filtered on one port.

/// The port of HTTPS, which may well be the only one that a gateway's clients use.
pub(super) const HTTPS: u16 = 443;

/// The port numbers that every record has at one of its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CommonPorts {
    /// There was no record yet.
    #[default]
    Any,
    /// These.
    These([u16; 2]),
    /// There is none.
    None,
}

impl CommonPorts {
    pub(super) fn note(&mut self, ends: [u16; 2]) {
        *self = match *self {
            Self::Any => Self::These(ends),
            Self::These(these) => match these.map(|port| ends.contains(&port)) {
                [true, true] => Self::These(these),
                [true, false] => Self::These([these[0]; 2]),
                [false, true] => Self::These([these[1]; 2]),
                [false, false] => Self::None,
            },
            Self::None => Self::None,
        };
    }

    /// The one number that a log looks to have been filtered on.
    pub(super) fn filtered_on(self) -> Option<u16> {
        match self {
            Self::These([port, other]) if port == other => {
                Some(port).filter(|port| ![0, HTTPS].contains(port))
            }
            _ => None,
        }
    }
}
