//! Small numbers of the protocol that have names.

/// An enum of codes and the names that Kafka's tools print. What is not known is kept as a number.
macro_rules! codes {
    ($(#[$outer:meta])* $enum:ident {
        $($(#[$meta:meta])* $code:literal $name:ident $text:literal),* $(,)?
    }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $enum {
            $($(#[$meta])* $name,)*
            /// One that is not known here: its code.
            Unknown(i8),
        }

        impl $enum {
            pub(in crate::admin) fn of(code: i8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    code => Self::Unknown(code),
                }
            }
        }

        /// The code that the protocol has for it.
        impl From<$enum> for i8 {
            fn from(of: $enum) -> Self {
                match of {
                    $($enum::$name => $code,)*
                    $enum::Unknown(code) => code,
                }
            }
        }

        /// As Kafka's tools print it.
        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$name => f.write_str($text),)*
                    Self::Unknown(code) => write!(f, "UNKNOWN({code})"),
                }
            }
        }
    };
}

pub(super) use codes;
