"""The exports as one picture: live parameters, what AWS says of the things they name, and the code on both sides."""
