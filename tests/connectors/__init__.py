"""What each connector is tested with: a folder per platform."""
