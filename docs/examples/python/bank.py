#!/usr/bin/env python3
"""What a bank asks its agent, from the command line. See README.md."""

import argparse
import sys

from google.protobuf.json_format import MessageToJson

from quittance_agent import Agent, Final, OutOfTime, Receiver, Refused, new_uetr


def show(message):
    """One line of JSON for each message."""
    print(MessageToJson(message, indent=None), flush=True)


def transfer(agent, arguments):
    uetr = arguments.uetr or new_uetr()
    print(f"uetr {uetr}", file=sys.stderr)  # to be stored, if this were more than an example
    receivers = []
    for receiver in arguments.receiver:
        institution, _, amount = receiver.partition("=")
        receivers.append(
            Receiver(
                institution=institution,
                amount=amount,
                end_to_end_id=arguments.end_to_end_id,
                remittance=arguments.remittance,
            )
        )
    outcome = agent.transfer(uetr, arguments.asset, receivers)
    show(outcome)
    return 0 if outcome.state == Final else 1


def queue(agent, arguments):
    uetr = arguments.uetr or new_uetr()
    show(
        agent.queue_payment(
            uetr,
            arguments.asset,
            arguments.payee,
            arguments.amount,
            arguments.end_to_end_id,
            arguments.remittance,
        )
    )


def payments(agent, arguments):
    for payment in agent.payments(arguments.asset):
        show(payment)


def balance(agent, arguments):
    account = agent.balance(arguments.asset)
    if account is not None:
        show(account)


def statement(agent, arguments):
    for line in agent.statement(arguments.asset, arguments.from_height):
        show(line)


def watch(agent, arguments):
    for number, event in enumerate(agent.watch(arguments.after), start=1):
        show(event)
        if number == arguments.count:
            return


def parser():
    whole = argparse.ArgumentParser(description=__doc__)
    whole.add_argument("--address", required=True, help="host and port of the agent")
    whole.add_argument("--certificate", required=True, help="the client's certificate, PEM")
    whole.add_argument("--key", required=True, help="its private key, PEM")
    whole.add_argument("--ca", required=True, help="the authority of the agent's certificate, PEM")
    whole.add_argument("--patience", type=float, default=120.0, help="seconds to try for")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(run, text, *names):
        made = commands.add_parser(run.__name__, help=text)
        made.set_defaults(run=run)
        for name in names:
            made.add_argument(name)
        return made

    def references(made):
        made.add_argument("--uetr", help="default: a new one")
        made.add_argument("--end-to-end-id", default="")
        made.add_argument("--remittance", default="")

    made = command(transfer, "pay at once", "asset")
    made.add_argument("receiver", nargs="+", metavar="INSTITUTION=AMOUNT")
    references(made)
    references(command(queue, "put a payment into the netting queue", "asset", "payee", "amount"))
    command(payments, "show the netting queue", "asset")
    command(balance, "show the account", "asset")
    made = command(statement, "show every change of the account", "asset")
    made.add_argument("--from-height", type=int, default=0)
    made = command(watch, "show events as they happen")
    made.add_argument("--after", type=int, default=0, help="the last position already seen")
    made.add_argument("--count", type=int, help="end after so many")
    return whole


def main():
    arguments = parser().parse_args()
    files = (arguments.certificate, arguments.key, arguments.ca)
    try:
        with Agent(arguments.address, *files, patience=arguments.patience) as agent:
            return arguments.run(agent, arguments)
    except Refused as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 2
    except OutOfTime as reason:
        print(f"no outcome yet: {reason}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
