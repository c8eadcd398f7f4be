"""What AWS refused, or what stands in the way of asking it: one line for the operator."""

# SageMaker's code for whatever is wrong with a call; that something does not exist is told by the text alone.
INVALID = "ValidationException"
NOT_FOUND = "Could not find"
UNKNOWN = "unknown"
"""For a request's id, where nobody tells it."""
NO_CREDENTIALS = "no AWS credentials were found. Sign in (`aws configure`, `aws sso login`), or name a profile."
# What to do about errors whose own text does not say it.
ADVICE = {
    "AccessDenied": "Give this identity the permission that the message names.",
    "AccessDeniedException": "Give this identity the permission that the message names.",
    "ExpiredToken": "Sign in again.",
    "ExpiredTokenException": "Sign in again.",
    "InvalidAccessKeyId": "Check the credentials or --profile.",
    "InvalidClientTokenId": "Check the credentials or --profile.",
    "InvalidSignatureException": "Check the secret key, and this machine's clock.",
    "SignatureDoesNotMatch": "Check the secret key, and this machine's clock.",
    "UnrecognizedClientException": "Check the credentials, and that --region is enabled for the account.",
    "RepositoryNotFoundException": "Create the repository and push the image, or correct --image and --region.",
    "NoSuchBucket": "Create the bucket, or name another.",
    "NoSuchKey": "Upload it, or correct the address.",
    "404": "Create or upload it, or correct the address.",
    "403": "Give this identity the permission to read it.",
    "ResourceLimitExceeded": "Ask for a higher quota (Service Quotas), or take another instance type.",
    "LimitExceededException": "Ask for a higher quota (Service Quotas), or remove what is not needed.",
    "ThrottlingException": "Run the command again in a minute.",
}


class CloudError(Exception):
    """What AWS refused or what stands in the way of asking it: one line for the operator.

    `code` and `request` (its id) are AWS's own, empty where the error is not AWS's. `missing` says that a thing
    of SageMaker's does not exist.
    """

    def __init__(self, message: str, code: str = "", request: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
        self.request = request
        self.missing = code == INVALID and NOT_FOUND in message


def refusal(doing: str, code: str, text: str, request: str) -> CloudError:
    """The error for what AWS answered to a call."""
    advice = ADVICE.get(code, "")
    return CloudError(f"{doing}: {code}: {text.rstrip('.')}. {advice} (request id {request})", code, request)
