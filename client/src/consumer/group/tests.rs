//! Members of groups whose coordinator, clock and users a test plays.

mod classic;
mod next_gen;
mod world;
