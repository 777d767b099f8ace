"""Three themes. The monochrome one uses the terminal's own two colours, and reverse, bold, underline and dim for the rest."""

from __future__ import annotations

from textual.theme import Theme

DARK, LIGHT, MONO = "infraconsole-dark", "infraconsole-light", "infraconsole-mono"

_COLOURS = """
ansi-background ansi-foreground text text-muted text-disabled text-primary text-secondary text-success
text-warning text-error text-accent border border-blurred block-cursor-foreground block-cursor-background
block-cursor-blurred-foreground block-cursor-blurred-background block-hover-background
input-cursor-background input-cursor-foreground input-selection-background input-selection-foreground
screen-selection-background screen-selection-foreground scrollbar scrollbar-hover scrollbar-active
scrollbar-background scrollbar-corner-color scrollbar-background-hover scrollbar-background-active
footer-foreground footer-background footer-key-foreground footer-key-background footer-item-background
footer-description-foreground footer-description-background button-foreground button-color-foreground
"""
_PLAIN = dict.fromkeys(_COLOURS.split(), "ansi_default")

THEMES = (
    Theme(
        name=DARK,
        primary="#4c9be8",
        secondary="#7f8fa6",
        accent="#e8b04c",
        warning="#f0b429",
        error="#f0626e",
        success="#5fc77f",
        foreground="#dfe4ea",
        background="#12161c",
        surface="#1a2028",
        panel="#232b36",
        variables={
            "band-background": "#2b3a4d",
            "band-foreground": "#e6edf5",
            "band-prod-background": "#a4161a",
            "band-prod-foreground": "#ffffff",
            "band-style": "none",
            "band-prod-style": "none",
            "block-cursor-background": "#2f6fb2",
            "block-cursor-foreground": "#ffffff",
            "footer-key-foreground": "#e8b04c",
        },
    ),
    Theme(
        name=LIGHT,
        primary="#0b5cad",
        secondary="#4a5a6a",
        accent="#8a5a00",
        warning="#8a5a00",
        error="#b00020",
        success="#1b6e3a",
        foreground="#1a2028",
        background="#fafafa",
        surface="#f0f2f5",
        panel="#e2e6eb",
        dark=False,
        variables={
            "band-background": "#cfd9e6",
            "band-foreground": "#1a2028",
            "band-prod-background": "#b00020",
            "band-prod-foreground": "#ffffff",
            "band-style": "none",
            "band-prod-style": "none",
            "block-cursor-background": "#0b5cad",
            "block-cursor-foreground": "#ffffff",
            "footer-key-foreground": "#8a5a00",
        },
    ),
    Theme(
        name=MONO,
        ansi=True,
        primary="ansi_default",
        secondary="ansi_default",
        accent="ansi_default",
        warning="ansi_default",
        error="ansi_default",
        success="ansi_default",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        variables=_PLAIN
        | {
            "band-background": "ansi_default",
            "band-foreground": "ansi_default",
            "band-prod-background": "ansi_default",
            "band-prod-foreground": "ansi_default",
            "band-style": "bold underline",
            "band-prod-style": "bold reverse",
            "block-cursor-text-style": "reverse",
            "input-cursor-text-style": "reverse",
            "button-focus-text-style": "reverse",
        },
    ),
)

VARIABLES = {
    "band-background": "#2b3a4d",
    "band-foreground": "#e6edf5",
    "band-prod-background": "#a4161a",
    "band-prod-foreground": "#ffffff",
    "band-style": "none",
    "band-prod-style": "none",
}
"""For Textual's own themes, which know nothing of the band."""
