"""The table of the commands that the router runs itself."""

from common.command import Plan, Table

TABLE = Table(Plan.ROUTER)
