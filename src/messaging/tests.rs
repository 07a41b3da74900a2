//! Frames and links between workers: round trips, limits, broken peers.
