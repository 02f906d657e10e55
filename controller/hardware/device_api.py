"""What devices without a certificate may ask over HTTPS: the CA, and a claim."""

from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from controller.db.engine import Database
from controller.hardware.claim import Claims, read_request, refusal
from controller.ports import Calendar, LinkClock
from controller.web import problems
from controller.web.rate_limit import Allowance, RateLimiter
from gateway.protocol.claim import CA_PATH, CONTENT_TYPE, PATH

CLAIM_ALLOWANCE: Final = Allowance(burst=200, per_s=5)  # a building behind one address
BODY_MAX: Final = 16 * 1024
CA_CONTENT_TYPE: Final = "application/pkix-cert"

_log = structlog.get_logger(__name__)


class DeviceApi:
    """The application behind the HTTPS listener for devices."""

    def __init__(self, claims: Claims, db: Database, calendar: Calendar, link: LinkClock) -> None:
        self._claims = claims
        self._db = db
        self._calendar = calendar
        self._limiter = RateLimiter(link)

    def application(self) -> web.Application:
        """Return the application; serve it with ``Authority.server_context()``."""
        application = web.Application(middlewares=[_refused], client_max_size=BODY_MAX)
        application.router.add_get(CA_PATH, self._ca)
        application.router.add_post(PATH, self._claim)
        return application

    async def _ca(self, request: web.Request) -> web.Response:
        """Answer the CA's certificate as DER; the device compares it with the fingerprint."""
        self._limiter.take(f"address {request.remote}", CLAIM_ALLOWANCE)
        certificate = x509.load_pem_x509_certificate(self._claims.authority.certificate_pem)
        return web.Response(
            body=certificate.public_bytes(Encoding.DER), content_type=CA_CONTENT_TYPE
        )

    async def _claim(self, request: web.Request) -> web.Response:
        self._limiter.take(f"address {request.remote}", CLAIM_ALLOWANCE)
        if request.content_type != CONTENT_TYPE:
            raise problems.Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                f"Send the claim as Content-Type: {CONTENT_TYPE}.",
            )
        claimed = read_request(await request.read())
        async with self._db.write() as tx:
            answer = await self._claims.claim(tx, claimed, now=self._calendar.now())
        if answer is None:
            raise refusal()
        return web.Response(body=answer, content_type=CONTENT_TYPE)


@web.middleware
async def _refused(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into an answer."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 - the last one who can answer
        answer = problems.response(error)
        if answer is None:
            _log.exception("device_request_failed", path=request.path)
            answer = web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        return answer
