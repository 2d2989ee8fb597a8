import i18next from "i18next";

/** What an offer of the catalogue is for, in the reader's language; as the server says it for one that is new to this page. */
export function aboutOffer(offer: { key: string; description: string }): string {
  const key = `models.offers.${offer.key.replaceAll(".", "_")}`;
  return i18next.exists(key) ? (i18next.t as (key: string) => string)(key) : offer.description;
}
