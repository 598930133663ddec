"""stub"""
from agenx_cli.sim.mind.view import Thought, View
def think(view: View) -> Thought:
    return Thought("Hola, soy Clara, una prueba de voz bastante larga.")
