"""Who is who: the signed register of parties and keys, and the signatures themselves."""

from data_access.parties.keys import Signature, SigningKey, check_signature, check_signature_once, key_id
from data_access.parties.register import Key, Party, Register, check_register, parse_register, read_register

__all__ = [
    "Key",
    "Party",
    "Register",
    "Signature",
    "SigningKey",
    "check_register",
    "check_signature",
    "check_signature_once",
    "key_id",
    "parse_register",
    "read_register",
]
