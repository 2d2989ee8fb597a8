"""Names that try to be paths: more than two hundred spellings of ways out of a folder."""

from __future__ import annotations

from itertools import product

# What an attacker would like to read, from the root and from where a server keeps its things.
_TARGETS = ("etc/passwd", "SENTINEL/secret.txt")
_STEPS = (
    "../", "..\\", "%2e%2e%2f", "%2e%2e/", "..%2f", "..%5c", "%252e%252e%252f", "..%c0%af", "..%ef%bc%8f", "....//",
    "..././", "..;/", ".%2e/", "\uff0e\uff0e/", "\u2025/", "..\u2215", "..\u2044", "..//", "./../",
    "%c0%ae%c0%ae/", "..%u2215", "..%00/",
)  # fmt: skip
_DEPTHS = (1, 4)

_WHOLE = (
    "../atelier.db", "../../secrets/sign-in.key",
    "/etc/passwd", "//etc/passwd", "///etc/passwd", "/./etc/passwd", "\\etc\\passwd", "C:\\Windows\\win.ini", "C:/x",
    "C:x", "\\\\server\\share\\x", "\\\\?\\C:\\x", "//server/share", "file:///etc/passwd", "file:etc/passwd",
    "/proc/self/environ", "/proc/self/cmdline", "/proc/1/root/etc/passwd", "/dev/stdin", "/dev/fd/0", "/dev/zero",
    "~/.ssh/id_rsa", "~root/.bashrc", "$HOME/.bashrc", "${HOME}", "%USERPROFILE%", "`id`", "$(id)", ";id", "|id", "&id",
    ".", "..", "...", "./", "../", "/", "\\", "%2f", "%5c", "%2e", "%00", "..%00", "a%00.png", "img_%00", "CON", "NUL",
    "AUX", "COM1", "LPT1.txt", "con.png", "nul.tar.gz", "a:b", "a::$DATA", ".git/config", ".env", ".htaccess",
    "a/../../../b", "a/./b", "a//b", "a/", "/a", " /etc/passwd", "/etc/passwd ", "\t../x", "../x\n", "..\r\nX: y",
    "x\r\n\r\nHTTP/1.1 200 OK", "\u202e../gnp.x", "\u200b../x", "..\u200b/x", "\ufeff../x", "e\u0301/../x", "ＡＢ/../x",
    "*", "?", "[a-z]", "{a,b}", "**/*", "img_*", "%", "%%", "%n%n%n", "{0.__class__}", "{{7*7}}", "${7*7}", "<%= 7 %>",
    "' OR '1'='1", "1; DROP TABLE images", "\" OR 1=1 --", "x' UNION SELECT password_hash FROM users --",
    "\\x00", "\\0",
    "-rf", "--help", "-", "@/etc/passwd", "|/etc/passwd", "data:,x", "javascript:alert(1)",
    "<img src=x onerror=alert(1)>",
    "inp_" + "0" * 20, "img_" + "f" * 20, "job_" + "0" * 20, "inp_../../x", "img_" + "." * 20,
    "inp_%2e%2e%2f" + "0" * 11,
    "a" * 255, "a" * 256, "a" * 5000, "../" * 1000, "/" * 3000, "%2e" * 700, "\U0001f409" * 300, "ä" * 128 + "/x",
)  # fmt: skip

# What no header, path or URL can carry, but JSON and forms can.
_RAW = ("\x00", "../\x00", "a\x00.png", "\x1b[31m/x", "\x7f/x", "\x01\x02", "..\x00/etc/passwd")

PAYLOADS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [
            *(step * depth + target for step, depth, target in product(_STEPS, _DEPTHS, _TARGETS)),
            *_WHOLE,
            *_RAW,
        ]
    )
)
# One of each kind, for where every field is tried by itself.
FEW: tuple[str, ...] = (
    "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "..\\..\\x", "\x00", "C:\\x", "a" * 5000,
    "%252e%252e%252f",    "\uff0e\uff0e/x", "~/.ssh/id_rsa", "' OR '1'='1", "x\r\nX: y",
)  # fmt: skip
