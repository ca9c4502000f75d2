"""Labelled sentences, as they come to the customer service of a shop: made, not collected.

Each is put together of parts, at random with a seed. Parts that say nothing of the label stand
round one that does, and two labels share many of their words.
"""

import random

LABELS = ["account", "delivery", "payment", "praise"]

SEED = 4

OPENINGS = [
    "",
    "",
    "",
    "hello",
    "hi there",
    "good morning",
    "dear team",
    "to whom it may concern",
    "i have a question",
    "quick question",
    "sorry to bother you",
    "hello again",
]
CLOSINGS = [
    "",
    "",
    "",
    "thank you",
    "thanks",
    "please help",
    "please answer soon",
    "best regards",
    "what can i do",
    "can you look into it",
    "i am waiting for your answer",
    "kind regards",
]
THINGS = [
    "the shoes",
    "my shoes",
    "the lamp",
    "a lamp",
    "my book",
    "the books",
    "the bicycle",
    "my coat",
    "the chair",
    "two chairs",
    "the kettle",
    "my headphones",
    "the table",
    "a present",
]
WHEN = ["", "", "yesterday", "today", "last week", "on monday", "three days ago", "this morning"]

# `{thing}` and `{when}` are filled in.
CORES = {
    "account": [
        "i cannot log in to my account {when}",
        "my password does not work since i changed it {when}",
        "i want to change the email address of my account",
        "the link to reset my password does not arrive",
        "please delete my account and all my data",
        "somebody else has logged in to my account {when}",
        "how do i change my name and my address in the settings",
        "my account was locked {when} after i bought {thing}",
        "i do not get the code by email when i log in",
        "i have two accounts and want to have one",
    ],
    "delivery": [
        "{thing} has not arrived, it should have been here {when}",
        "where is my parcel with {thing}",
        "the parcel was left at the wrong address {when}",
        "the tracking number of {thing} does not work",
        "{thing} arrived broken {when}",
        "nobody rang and the parcel went back {when}",
        "can {thing} be delivered on saturday",
        "half of my order is missing, only {thing} came {when}",
        "the driver left {thing} in the rain {when}",
        "i want to change the address of my order before it is sent",
    ],
    "payment": [
        "i was charged twice for {thing} {when}",
        "my card was declined when i bought {thing} {when}",
        "i sent back {thing} and wait for the refund",
        "the invoice for {thing} shows the wrong amount",
        "can i pay for {thing} in three parts",
        "the discount code was not taken off the price of {thing}",
        "i need an invoice with the address of my company",
        "you took money from my card {when} and i ordered nothing",
        "is the price of {thing} with or without tax",
        "my refund is less than i paid for {thing}",
    ],
    "praise": [
        "i love {thing}, it is perfect",
        "{thing} came so quickly {when}, well done",
        "the best service that i have ever had",
        "your driver was very friendly {when}",
        "great quality and a fair price, i will order again",
        "my daughter is happy with {thing}",
        "just wanted to say that {thing} is wonderful",
        "you solved my problem in a minute {when}, excellent",
        "five stars for {thing} and for your team",
        "i recommend you to all my friends",
    ],
}


def sentences(count: int, seed: int = SEED) -> list[tuple[str, str]]:
    """So many different sentences with their labels, in a random order."""
    dice = random.Random(seed)
    made = {}
    while len(made) < count:
        label = dice.choice(LABELS)
        core = dice.choice(CORES[label])
        core = core.format(thing=dice.choice(THINGS), when=dice.choice(WHEN))
        parts = [dice.choice(OPENINGS), core, dice.choice(CLOSINGS)]
        text = ". ".join(" ".join(part.split()) for part in parts if part)
        text = text.replace(" ,", ",")
        # As people write.
        if dice.random() < 0.4:
            text = ". ".join(part.capitalize() for part in text.split(". "))
        if dice.random() < 0.2:
            text += dice.choice([".", "!", "?", "!!!", " :)"])
        if dice.random() < 0.05:
            text = text.upper()
        made[text] = label
    return list(made.items())


def split(count: int = 2000, train_share: float = 0.8) -> tuple[list, list]:
    """Sentences to train with, and others to test with."""
    everything = sentences(count)
    at = int(count * train_share)
    return everything[:at], everything[at:]


# Sentences in words of nobody's training, and what is no sentence at all: every string has tokens.
HARD = [
    "",
    " ",
    "\t\n \r\n",
    "?!",
    "...---...",
    "i can't log in",
    "LOG-IN",
    "log_in @account #help",
    "a\tb\nlog\x0bin\x0chere\rnow",
    "zero\x00byte",
    "Übergrößenträger ÄÖÜ ß",
    "STRASSE stra\u00dfe",
    "cafe\u0301 CAF\u00c9 caf\u00e9",
    "\u00bfd\u00f3nde est\u00e1 mi paquete?",
    "\u0433\u0434\u0435 \u043c\u043e\u044f \u041f\u041e\u0421\u042b\u041b\u041a\u0410",
    "\u6211\u7684\u5305\u88f9\u5728\u54ea\u91cc\uff1f",
    "\u05d0\u05d9\u05e4\u05d4 \u05d4\u05d7\u05d1\u05d9\u05dc\u05d4 \u05e9\u05dc\u05d9",
    "\U0001f4e6\U0001f4e6 my parcel \U0001f621",
    "my\u00a0parcel my\u2003parcel my\u2028parcel my\u200bparcel",
    "\u201cmy parcel\u201d \u2013 where\u2026",
    "I\u0307STANBUL \u0130stanbul \u0131stanbul",
    "\ufeffmy parcel",
    "[UNK]",
    "parcel " * 1000,
    "p" * 50_000,
    "my parcel, " + "very " * 5000 + "late",
]
