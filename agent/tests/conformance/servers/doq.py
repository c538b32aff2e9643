"""DNS over QUIC (RFC 9250) by aioquic, with messages made by dnspython.

    doq.py PORT CERTIFICATE KEY

How a question is met is said by its first label: `good` with 192.0.2.1, `wrong` with another id,
`garbage`, `reset` (the stream), `close` (the connection), `half` an answer and then nothing, `hang`,
anything else with NXDOMAIN. A TCP port of the same number opens when all is ready.
"""

import asyncio
import struct
import sys

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived

INTERNAL_ERROR = 1


class Server(QuicConnectionProtocol):
    """Answers each stream that was ended by the client."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.received = {}

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            data = self.received.setdefault(event.stream_id, bytearray())
            data.extend(event.data)
            if event.end_stream:
                self.meet(event.stream_id, bytes(data))
                self.transmit()

    def meet(self, stream, data):
        (length,) = struct.unpack("!H", data[:2])
        assert length == len(data) - 2, "one message and the end of the stream"
        query = dns.message.from_wire(data[2:])
        assert query.id == 0, "RFC 9250, section 4.2.1"
        name = query.question[0].name
        manner = name.labels[0].decode()
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        if manner in ("good", "wrong", "half"):
            answer.answer.append(dns.rrset.from_text(name, 300, "IN", "A", "192.0.2.1"))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        if manner == "wrong":
            answer.id = 4711
        wire = b"\xff" * 30 if manner == "garbage" else answer.to_wire()
        framed = struct.pack("!H", len(wire)) + wire
        if manner == "reset":
            self._quic.reset_stream(stream, INTERNAL_ERROR)
        elif manner == "close":
            self._quic.close(INTERNAL_ERROR)
        elif manner == "half":
            self._quic.send_stream_data(stream, framed[:-4], end_stream=False)
        elif manner != "hang":
            self._quic.send_stream_data(stream, framed, end_stream=True)


async def main(port, certificate, key):
    configuration = QuicConfiguration(alpn_protocols=["doq"], is_client=False)
    configuration.load_cert_chain(certificate, key)
    await serve("127.0.0.1", port, configuration=configuration, create_protocol=Server)
    ready = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    await ready.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
