"""The pure heart: readings, supply, rules, windows, statuses, settlements, problems, profiles. Imports nothing but msgspec and texts."""
