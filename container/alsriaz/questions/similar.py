"""Tasks `similar` and `audience`: items alike some items, and the customers most likely to buy them."""

from alsriaz.questions.question import Question
from alsriaz.questions.recommend import item_answer, paged, with_warnings
from alsriaz.questions.shop import Listing, Shop
from alsriaz.questions.tally import Answer
from alsriaz.rules.binding import notices
from alsriaz.rules.lists import Ask, Page
from alsriaz.scoring.scorers import Scorers


def similar(shop: Shop, question: Question) -> Listing:
    """Return items by their mean likeness to the asked ones, which don't appear themselves unless included."""
    items = question.asked_items()
    positions, unsold = shop.sold_items(items)
    if not len(positions):
        raise question.unknown_items()
    k = shop.k(question)
    # What is asked about is no answer: it is kept out as purchases are.
    rules = shop.rules(question).keeping_out(positions, shop.items.positions_of(unsold))
    ask = Ask(k, rules, offset=shop.offset(question, k))
    told = notices("unknown_item", "Item {} was never sold: nothing is known to be alike.", unsold)
    answer = item_answer(shop, question, ask, {"items": items, "measure": question.measure}, told)
    rank_by = Scorers.alike if question.measure == "cosine" else Scorers.alike_by_product
    return Listing(rank_by, positions, ask, answer)


def audience(shop: Shop, question: Question) -> Listing:
    """Return customers by their mean score of the asked items."""
    items = question.asked_items()
    positions, unsold = shop.sold_items(items)
    if not len(positions):
        raise question.unknown_items()
    k, rules = shop.k(question), shop.customer_rules(question)
    bought = shop.model.buyers_of(positions) if rules.purchased else None
    ask = Ask(k, rules, bought, offset=shop.offset(question, k), included="include.customers")
    told = notices("unknown_item", "Item {} was never sold: it has no part in the scores.", unsold)

    def answer(page: Page) -> Answer:
        columns = zip(page.ids, page.scores, page.reasons, strict=True)
        entries = [{"customer": customer, "score": score, "reason": reason} for customer, score, reason in columns]
        listed = paged("audience", entries, question, ask, page)
        return with_warnings(
            {"items": items, **listed, "model": shop.model_hash}, [*told, *rules.notices, *page.notices]
        )

    return Listing(Scorers.audience, positions, ask, answer)
