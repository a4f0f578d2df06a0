"""The local chat: a small receiver that speaks Slack's Web API and shows cards in a browser.

For the demo and tests only. It refuses what Slack refuses (limits, unknown fields, wrong tokens), so that
what works here works there.
"""
