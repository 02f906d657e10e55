"""IQ hub firmware as pure steps: (state, input, instant) -> (state, outputs)."""
