"""A client of a bank's Quittance agent, on stock gRPC.

    with Agent("127.0.0.1:7107", "bank.pem", "bank.key", "ca.pem") as agent:
        to = Receiver(institution="BBBBZZ01", amount="12.50")
        outcome = agent.transfer(new_uetr(), "EUR", [to])

Whatever fails on the way is tried again under the same UETR: the agent carries an instruction out
once, however often it is asked. So the one thing that a caller has to do is to store the UETR
before the first call.
"""

import random
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import grpc
from quittance.agent.v1 import agent_pb2 as api
from quittance.agent.v1 import agent_pb2_grpc

# What may go away by itself. Everything else will be refused again, whoever asks.
RETRYABLE = {
    grpc.StatusCode.UNAVAILABLE,  # agent or node away, starting, or stopping
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # overloaded, or a queue is full
    grpc.StatusCode.DEADLINE_EXCEEDED,  # the answer may be on its way: ask again
    grpc.StatusCode.ABORTED,  # lost against something else at the same time
    grpc.StatusCode.CANCELLED,  # the connection broke off
}

# The longest that one call lasts, in seconds, beyond the time that the agent is asked to wait.
CALL_TIME = 10.0

# The agent waits at most this long for an outcome, in milliseconds.
MAX_WAIT_MS = 30_000

Receiver = api.Receiver
Final = api.Outcome.STATE_FINAL
Failed = api.Outcome.STATE_FAILED


class Refused(Exception):
    """The agent refuses the call: asking again in the same way is of no use."""

    def __init__(self, error: grpc.RpcError):
        self.code: grpc.StatusCode = error.code()
        super().__init__(f"{self.code.name}: {error.details()}")


class OutOfTime(Exception):
    """No outcome yet. The instruction may still be carried out: ask again under the same UETR."""


def is_retryable(error: grpc.RpcError) -> bool:
    """Whether the same call may succeed later.

    UNKNOWN and INTERNAL stand for a connection that broke in the middle of an answer when they come
    from the transport. Repeating is safe, since every instruction has a UETR.
    """
    if error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL):
        return "RST_STREAM" in error.details() or "Stream removed" in error.details()
    return error.code() in RETRYABLE


def new_uetr() -> str:
    """A fresh UETR: a version 4 UUID in small letters. Store it before it is used."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Pause:
    """How long to wait between two attempts: ever longer, with chance, so that callers spread."""

    first: float = 0.1
    longest: float = 5.0

    def seconds(self, attempt: int) -> float:
        return random.uniform(0.5, 1.0) * min(self.longest, self.first * 2**attempt)


class Agent:
    """A connection to the agent of one bank. May be shared by threads."""

    def __init__(self, address, certificate, key, ca, patience=120.0, pause=Pause()):
        """`certificate`, `key` and `ca` are PEM files; `patience` is how many seconds a call is
        tried for.

        gRPC checks that the agent's certificate is from the authority in `ca` and for the host in
        `address`. The key exchange is X25519MLKEM768, the first that gRPC offers and the only
        usual one that the agent takes. Let `ca` be the bank's own authority: then nobody else can
        answer in the agent's place.
        """
        credentials = grpc.ssl_channel_credentials(
            root_certificates=Path(ca).read_bytes(),
            private_key=Path(key).read_bytes(),
            certificate_chain=Path(certificate).read_bytes(),
        )
        options = [
            ("grpc.max_receive_message_length", 8 << 20),  # the longest statement
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            ("grpc.enable_retries", 0),  # retried here, where it is known what may be
        ]
        self._channel = grpc.secure_channel(address, credentials, options)
        self._stub = agent_pb2_grpc.AgentStub(self._channel)
        self._patience = patience
        self._pause = pause

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._channel.close()

    def _call(self, method, request, deadline, wait_ms=0):
        """Calls until there is an answer, a refusal, or no time left."""
        attempt = 0
        while True:
            left = max(0.001, deadline - time.monotonic())
            try:
                return method(request, timeout=min(left, wait_ms / 1000 + CALL_TIME))
            except grpc.RpcError as error:
                if not is_retryable(error):
                    raise Refused(error) from error
                pause = self._pause.seconds(attempt)
                if time.monotonic() + pause >= deadline:
                    raise OutOfTime(f"{error.code().name}: {error.details()}") from error
            time.sleep(pause)
            attempt += 1

    def _deadline(self):
        return time.monotonic() + self._patience

    def transfer(self, uetr, asset, receivers):
        """Pays one or more receivers at once, and waits until that is final or has failed."""
        deadline = self._deadline()
        while True:
            left_ms = int(1000 * (deadline - time.monotonic()))
            if left_ms <= 0:
                raise OutOfTime(f"transfer {uetr} is still under way")
            wait_ms = min(MAX_WAIT_MS, left_ms)
            request = api.TransferRequest(
                uetr=uetr, asset=asset, receivers=receivers, wait_ms=wait_ms
            )
            outcome = self._call(self._stub.Transfer, request, deadline, wait_ms).outcome
            if outcome.state in (Final, Failed):
                return outcome

    def queue_payment(self, uetr, asset, payee, amount, end_to_end_id="", remittance=""):
        """Puts a payment into the netting queue of its asset."""
        request = api.QueuePaymentRequest(
            uetr=uetr,
            asset=asset,
            payee=payee,
            amount=amount,
            end_to_end_id=end_to_end_id,
            remittance=remittance,
        )
        return self._call(self._stub.QueuePayment, request, self._deadline())

    def payments(self, asset=""):
        """The payments of the netting queue, with what became of them."""
        request = api.ListPaymentsRequest(asset=asset, limit=10_000)
        return self._call(self._stub.ListPayments, request, self._deadline()).payments

    def request_round(self, asset):
        """Asks the coordinator for a netting round; its id."""
        request = api.RequestRoundRequest(asset=asset)
        return self._call(self._stub.RequestRound, request, self._deadline()).round_id

    def balance(self, asset):
        """The account in one asset, or None if it was never used."""
        request = api.BalanceRequest(asset=asset)
        balances = self._call(self._stub.Balance, request, self._deadline()).balances
        return next(iter(balances), None)

    def statement(self, asset, from_height=0):
        """Every change of the account, page by page, in the order of the ledger."""
        page = 1000
        shown = 0  # lines of the height that the next page begins with
        while True:
            request = api.StatementRequest(
                asset=asset, from_height=from_height, limit=min(10_000, page + shown)
            )
            lines = self._call(self._stub.Statement, request, self._deadline()).lines
            yield from lines[shown:]
            if len(lines) < request.limit:
                return
            last = lines[-1].height
            shown = sum(1 for line in lines if line.height == last)
            from_height = last

    def watch(self, after=0):
        """Every event once, from the position `after` on, without end.

        A stream that breaks is opened again behind the last event that was taken. Store the
        position of each event together with what it led to.
        """
        attempt = 0
        while True:
            try:
                for event in self._stub.Watch(api.WatchRequest(after=after)):
                    yield event
                    after, attempt = event.position, 0
            except grpc.RpcError as error:
                if not is_retryable(error):
                    raise Refused(error) from error
            time.sleep(self._pause.seconds(attempt))
            attempt += 1
