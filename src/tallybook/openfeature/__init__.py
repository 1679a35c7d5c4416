"""Face for OpenFeature: a provider whose flags the client decides and whose events it tracks.

=========  ========================  =====================================
asked for  by the key ``checkout``   by the key ``checkout.color``
=========  ========================  =====================================
boolean    whether the flag is on    the boolean variable
string     the variation's key       the string variable
integer    a type mismatch           the integer variable
float      a type mismatch           the double, or the integer as a float
object     all variables by key      the JSON variable
=========  ========================  =====================================

Flags' keys have no dots: the first one ends the flag's key and begins the variable's.
"""

from __future__ import annotations

from tallybook.openfeature.provider import TallybookProvider

__all__ = ["TallybookProvider"]
