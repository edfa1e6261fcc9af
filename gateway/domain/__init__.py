"""The pure heart of it all. Imports nothing but msgspec, the texts, and `holidays` for the calendars."""
