"""Lattices: there and back, in other sizes, and as phases."""

import numpy as np
import pytest

from inpaintcli.texture.lattice import Lattice, Pattern
from inpaintcli.texture.lattice_cells import cell_grid, places_of
from inpaintcli.texture.lattice_drawing import drawn
from tests.inpaintcli.texture.pattern_cases import KINDS, PERSPECTIVES, blurred, case

SLANTED = Lattice(
    np.array([40.0, 30.0]), np.array([[11.0, -2.0], [3.0, 9.0]]), np.array([0.004, -0.003])
)


def test_a_place_has_one_pair_of_coordinates_and_they_lead_back_to_it():
    places = places_of((60, 80))
    assert np.allclose(SLANTED.places(SLANTED.coordinates(places)), places)


def test_at_the_origin_a_cell_is_as_large_as_the_steps_say():
    around = SLANTED.places(np.array([[0, 0], [1e-3, 0], [0, 1e-3]]))
    steps = (around[1:] - around[0]).T * 1e3
    assert np.allclose(steps, SLANTED.steps, rtol=1e-2)
    assert np.isclose(SLANTED.cell_areas(SLANTED.origin), abs(np.linalg.det(SLANTED.steps)))


def test_beyond_the_horizon_there_are_no_coordinates():
    assert np.isnan(SLANTED.coordinates(np.array([-300.0, 30.0]))).all()


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_scaled_lattice_gives_the_same_coordinates_to_the_same_thing(factor):
    places = places_of((60, 80))
    scaled = SLANTED.scaled(factor).coordinates((places + 0.5) * factor - 0.5)
    assert np.allclose(scaled, SLANTED.coordinates(places))


def test_phases_of_a_coarser_level_are_those_at_its_pixels_centres():
    fine, coarse = SLANTED.phases((60, 80)), SLANTED.phases((30, 40), 2.0)
    means = fine.reshape(30, 2, 40, 2, 4).mean((1, 3))
    assert np.abs(means - coarse).max() < 0.2


def test_cells_are_cut_and_put_back():
    picture = case("windows", PERSPECTIVES[2], noise=0).picture
    lattice = case("windows", PERSPECTIVES[2]).lattice
    everywhere = np.ones(picture.shape[:2], bool)
    grid = cell_grid(lattice, everywhere)
    cells, _ = grid.cut(picture, everywhere)
    back = grid.put(cells, picture.shape)
    assert np.abs(back - picture)[20:-20, 20:-20].mean() < 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("perspective", PERSPECTIVES[::3])
def test_a_drawn_pattern_is_near_the_truth(kind, perspective):
    made = case(kind, perspective)
    start = blurred(made)
    certain = np.ones(made.hole.shape, np.float32)
    answer = drawn(start, made.hole, ~made.hole, Pattern(made.lattice, certain, 1.0, 50))
    before, after = (np.abs(x - made.picture)[made.hole].mean() for x in (start, answer))
    assert after < before / 2
    assert np.array_equal(answer[~made.hole], made.picture[~made.hole])


def test_nothing_is_drawn_where_the_pattern_is_not_certain():
    made = case("chequer", PERSPECTIVES[0])
    start = blurred(made)
    uncertain = np.zeros(made.hole.shape, np.float32)
    pattern = Pattern(made.lattice, uncertain, 1.0, 50)
    assert np.array_equal(drawn(start, made.hole, ~made.hole, pattern), start)
