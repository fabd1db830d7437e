"""What a developer runs and the service never imports: engines, the local gateway, tokens, seeding, the sweep.

Nothing in here is deployed.
"""
