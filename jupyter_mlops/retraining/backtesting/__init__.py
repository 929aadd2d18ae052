"""Back-tests: policies played through the past before they are trusted."""
