"""The items of TRIPOD+AI, in our own words: what a report of a prediction model has to say.

Source: Collins, Moons, Dhiman et al. 2024, TRIPOD+AI statement, BMJ 385:e078378, doi 10.1136/bmj-2023-078378: 27 items,
52 with their parts. "D" concerns the development of a model, "E" its evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Collins GS, Moons KGM, Dhiman P, et al. BMJ 2024;385:e078378 (doi 10.1136/bmj-2023-078378)"


@dataclass(frozen=True)
class Item:
    """One item, or one part of it.

    Attributes:
        number: such as "12e".
        section: of the paper that is to be written.
        topic: in two or three words.
        applies: "D", "E" or "D;E".
        asks: what is to be said, in our own words.
    """

    number: str
    section: str
    topic: str
    applies: str
    asks: str


_ROWS = """
1|Title|Title|D;E|The title names development or evaluation of a model, whom it is for, and the outcome
2|Abstract|Abstract|D;E|The abstract follows the TRIPOD+AI list for abstracts
3a|Introduction|Background|D;E|Medical setting (diagnosis or prognosis), why this model, and which models exist already
3b|Introduction|Background|D;E|Who the model is for, where in the care of a patient it would act, and who would use it
3c|Introduction|Background|D;E|Known inequalities in health between groups of people
4|Introduction|Objectives|D;E|Aims, and whether a model is developed, evaluated or both
5a|Methods|Data|D;E|Where the data of development and evaluation come from, why these, how representative
5b|Methods|Data|D;E|First and last date of recruitment, and the end of follow-up where there is one
6a|Methods|Participants|D;E|Setting (primary care, hospital, general population), number and places of centres
6b|Methods|Participants|D;E|Who could take part, and who was left out
6c|Methods|Participants|D;E|Treatments received, and how the analysis deals with them
7|Methods|Data preparation|D;E|Preparation and quality checks of the data, and whether alike for all groups
8a|Methods|Outcome|D;E|Outcome and horizon, how and when it was found, why this one, whether alike for all groups
8b|Methods|Outcome|D;E|Where judging the outcome takes a person: their training and background
8c|Methods|Outcome|D;E|What was done to judge the outcome blindly
9a|Methods|Predictors|D|How the candidate predictors were chosen, and any selection before modelling
9b|Methods|Predictors|D;E|Each predictor: definition, how and when it was measured, blinding
9c|Methods|Predictors|D;E|Where measuring a predictor takes a person: their training and background
10|Methods|Sample size|D;E|How the sizes for development and evaluation came about, why they suffice, any calculation
11|Methods|Missing data|D;E|How missing data were handled, and why any data were left out
12a|Methods|Analysis|D|How the data were used and divided for development and evaluation
12b|Methods|Analysis|D|How predictors enter the model: form, scaling, transformation
12c|Methods|Analysis|D|Type of model and why, each step of building it, tuning, internal validation
12d|Methods|Analysis|D;E|Whether and how differences between clusters (hospitals, countries) were handled and measured
12e|Methods|Analysis|D;E|Measures and plots, and why these: discrimination, calibration, usefulness, comparisons
12f|Methods|Analysis|E|Any updating of the model by the evaluation, such as recalibration, overall or for groups
12g|Methods|Analysis|E|How predictions were computed: formula, code, object, interface
13|Methods|Class imbalance|D|Whether, why and how imbalance was treated, and how risks were recalibrated then
14|Methods|Fairness|D;E|What was done for fairness between groups, and why
15|Methods|Model output|D|What the model gives (risk, class), and how any threshold was found and why
16|Methods|Training and evaluation|D;E|How development and evaluation differ: setting, eligibility, outcome, predictors
17|Methods|Ethics|D;E|Which committee approved the study, and consent or its waiver
18a|Open science|Funding|D;E|Who paid, and what part they had in the study
18b|Open science|Conflicts|D;E|Conflicts of interest of all authors
18c|Open science|Protocol|D;E|Where the protocol is, or that none was written
18d|Open science|Registration|D;E|Register and number, or that the study was not registered
18e|Open science|Data sharing|D;E|Whether and how others can have the data
18f|Open science|Code sharing|D;E|Whether and how others can have the code of the analysis
19|Patients|Involvement|D;E|What part patients and the public had in the study, or that they had none
20a|Results|Participants|D;E|Flow of participants, with and without the outcome, and the time followed
20b|Results|Participants|D;E|Characteristics by group: dates, predictors, treatments, size, events, follow-up, gaps
20c|Results|Participants|E|Distribution of predictors and outcome in evaluation beside that in development
21|Results|Model development|D;E|Number of participants and events in each analysis: fitting, tuning, evaluation
22|Results|Model specification|D|The full model so that others can predict with it, and any limits to its use
23a|Results|Performance|D;E|Performance with confidence intervals, in key groups too; plots
23b|Results|Performance|D;E|Differences of performance between clusters, if examined
24|Results|Model updating|E|What any updating gave: the updated model and how it performs
25|Discussion|Interpretation|D;E|What the results mean, for fairness too, beside aims and earlier studies
26|Discussion|Limitations|D;E|Limits (sample, size, overfitting, missing data) and what they do to bias and certainty
27a|Discussion|Use in care|D|What to do with poor or missing inputs when the model is in use
27b|Discussion|Use in care|D|What users have to do and to know
27c|Discussion|Use in care|D;E|What should be studied next, for applicability and generality
"""

ITEMS = tuple(Item(*row.split("|")) for row in _ROWS.strip().splitlines())
