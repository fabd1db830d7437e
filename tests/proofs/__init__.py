"""Races, faults, kills, random models: what must hold in every order and after every failure."""
