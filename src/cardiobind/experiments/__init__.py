"""Experiments that come with cardiobind, one complete TOML file each."""
